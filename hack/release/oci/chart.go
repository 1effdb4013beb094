package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"sigs.k8s.io/yaml"
)

// The media types of charts: https://helm.sh/docs/topics/registries/.
const (
	ChartConfigType types.MediaType = "application/vnd.cncf.helm.config.v1+json"
	chartLayerType  types.MediaType = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

// The annotations that OCI defines.
const (
	annotationTitle       = "org.opencontainers.image.title"
	annotationVersion     = "org.opencontainers.image.version"
	annotationDescription = "org.opencontainers.image.description"
)

// Chart returns a packed chart as helm push stores it, but without the time of the
// push. Its config is Chart.yaml.
func Chart(archive []byte) (v1.Image, error) {
	content, err := chartYAML(archive)
	if err != nil {
		return nil, err
	}
	var about struct{ Name, Version, Description string }
	if err := yaml.Unmarshal(content, &about); err != nil {
		return nil, fmt.Errorf("reading Chart.yaml: %w", err)
	}
	config, err := yaml.YAMLToJSON(content)
	if err != nil {
		return nil, fmt.Errorf("reading Chart.yaml: %w", err)
	}
	return Artefact{
		Config: Blob{Type: ChartConfigType, Content: config},
		Layers: []Blob{{Type: chartLayerType, Content: archive}},
		Annotations: map[string]string{annotationTitle: about.Name, annotationVersion: about.Version,
			annotationDescription: about.Description},
	}.Image()
}

var errNoChart = errors.New("the archive has no Chart.yaml")

func chartYAML(archive []byte) ([]byte, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	for r := tar.NewReader(unzipped); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil, errNoChart
		}
		if err != nil {
			return nil, err
		}
		if _, name, _ := strings.Cut(header.Name, "/"); name == "Chart.yaml" {
			return io.ReadAll(r)
		}
	}
}
