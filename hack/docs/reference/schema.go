package main

import (
	"errors"
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

// schema is the part of an OpenAPI schema that CRDs use here.
type schema struct {
	Description string            `json:"description"`
	Type        string            `json:"type"`
	Format      string            `json:"format"`
	Default     any               `json:"default"`
	Enum        []any             `json:"enum"`
	Pattern     string            `json:"pattern"`
	Required    []string          `json:"required"`
	Properties  map[string]schema `json:"properties"`
	Items       *schema           `json:"items"`
	Additional  *schema           `json:"additionalProperties"`
	IntOrString bool              `json:"x-kubernetes-int-or-string"`

	MinLength     *int64   `json:"minLength"`
	MaxLength     *int64   `json:"maxLength"`
	MinItems      *int64   `json:"minItems"`
	MaxItems      *int64   `json:"maxItems"`
	MinProperties *int64   `json:"minProperties"`
	MaxProperties *int64   `json:"maxProperties"`
	Minimum       *float64 `json:"minimum"`
	Maximum       *float64 `json:"maximum"`

	ListType string   `json:"x-kubernetes-list-type"`
	ListKeys []string `json:"x-kubernetes-list-map-keys"`
	Rules    []rule   `json:"x-kubernetes-validations"`
}

// rule is a CEL rule.
type rule struct {
	Rule              string `json:"rule"`
	Message           string `json:"message"`
	MessageExpression string `json:"messageExpression"`
	FieldPath         string `json:"fieldPath"`
}

// kind is the part of a CRD that describes its kind.
type kind struct {
	Name, Plural, Scope string
	ShortNames          []string
	Version             string
	Schema              schema
}

type crd struct {
	Spec struct {
		Names struct {
			Kind       string   `json:"kind"`
			Plural     string   `json:"plural"`
			ShortNames []string `json:"shortNames"`
		} `json:"names"`
		Group    string `json:"group"`
		Scope    string `json:"scope"`
		Versions []struct {
			Name    string `json:"name"`
			Storage bool   `json:"storage"`
			Schema  struct {
				OpenAPI schema `json:"openAPIV3Schema"`
			} `json:"schema"`
		} `json:"versions"`
	} `json:"spec"`
}

// readKind reads the stored version of a CRD.
func readKind(file string) (kind, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return kind{}, err
	}
	var c crd
	if err := yaml.Unmarshal(content, &c); err != nil {
		return kind{}, fmt.Errorf("read the CRD: %w", err)
	}
	for _, v := range c.Spec.Versions {
		if v.Storage {
			return kind{
				Name: c.Spec.Names.Kind, Plural: c.Spec.Names.Plural, ShortNames: c.Spec.Names.ShortNames,
				Scope: c.Spec.Scope, Version: c.Spec.Group + "/" + v.Name, Schema: v.Schema.OpenAPI,
			}, nil
		}
	}
	return kind{}, errors.New("no version is stored")
}
