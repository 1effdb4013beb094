package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"apitoken.dev/operator/test/e2e/gateway"
)

func TestMain(m *testing.M) {
	gateway.MaybeRunChild()
	os.Exit(m.Run())
}

// TestFileHasEndpointsAndKeysThatWork: the file appears once the object exists.
func TestFileHasEndpointsAndKeysThatWork(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	servers, err := gateway.Start(ctx, t.TempDir(), gateway.Options{Host: "127.0.0.2"})
	if err != nil {
		t.Fatal(err)
	}
	defer servers.Stop() //nolint:errcheck // the test has what it wants
	if err := fill(ctx, servers, options{bucket: "datasets", object: "hello.txt", env: file}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for line := range strings.Lines(string(content)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = value
	}
	if !strings.HasPrefix(values["STORE_IAM"], "http://127.0.0.2:") || !strings.HasPrefix(values["STORE_S3"], "http://127.0.0.2:") {
		t.Errorf("the servers are at %s and %s", values["STORE_IAM"], values["STORE_S3"])
	}
	client := servers.S3(gateway.Keys{AccessKeyID: values["STORE_KEY_ID"], SecretAccessKey: values["STORE_SECRET"]})
	out, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("datasets")})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Contents) != 1 || aws.ToString(out.Contents[0].Key) != "hello.txt" {
		t.Errorf("the bucket holds %+v", out.Contents)
	}
}

func TestLocalAddressReachesTheGivenHost(t *testing.T) {
	if host, err := localAddress("127.0.0.3"); host != "127.0.0.1" && host != "127.0.0.3" || err != nil {
		t.Errorf("this machine reaches itself from %q: %v", host, err)
	}
	if _, err := localAddress("no address"); err == nil {
		t.Error("an invalid address is accepted")
	}
}
