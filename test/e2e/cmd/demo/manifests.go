package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// resources reads what the kustomization.yaml of a directory lists.
func resources(dir string) ([]*unstructured.Unstructured, error) {
	content, err := os.ReadFile(filepath.Join(dir, "kustomization.yaml"))
	if err != nil {
		return nil, err
	}
	var kustomization struct {
		Resources []string `json:"resources"`
	}
	if err := yaml.Unmarshal(content, &kustomization); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	var all []*unstructured.Unstructured
	for _, name := range kustomization.Resources {
		objects, err := documents(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		all = append(all, objects...)
	}
	return all, nil
}

// documents reads the objects of a file.
func documents(file string) ([]*unstructured.Unstructured, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
	for {
		o := &unstructured.Unstructured{}
		switch err := decoder.Decode(o); {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, fmt.Errorf("%s: %w", file, err)
		case len(o.Object) > 0:
			objects = append(objects, o)
		}
	}
}

// find returns the object of this kind and name.
func find(objects []*unstructured.Unstructured, kind, name string) (*unstructured.Unstructured, error) {
	for _, o := range objects {
		if o.GetKind() == kind && o.GetName() == name {
			return o, nil
		}
	}
	return nil, fmt.Errorf("the manifests have no %s %s", kind, name)
}

// set sets a field of an object.
func set(o *unstructured.Unstructured, value any, path ...string) error {
	return unstructured.SetNestedField(o.Object, value, path...)
}

// operatorArgs are the arguments that the Deployment gives the operator.
func operatorArgs(manager string) ([]string, error) {
	objects, err := resources(manager)
	if err != nil {
		return nil, err
	}
	deployment, err := find(objects, "Deployment", operatorName)
	if err != nil {
		return nil, err
	}
	containers, _, err := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	if err != nil || len(containers) != 1 {
		return nil, fmt.Errorf("the Deployment has %d containers instead of one: %w", len(containers), err)
	}
	container, ok := containers[0].(map[string]any)
	if !ok {
		return nil, errors.New("the Deployment's container is no object")
	}
	args, _, err := unstructured.NestedStringSlice(container, "args")
	return args, err
}
