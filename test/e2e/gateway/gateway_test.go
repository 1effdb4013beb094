package gateway

import (
	"context"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	MaybeRunChild()
	os.Exit(m.Run())
}

func TestServersAnswerUntilStop(t *testing.T) {
	g, err := Start(t.Context(), t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.CreateBuckets(t.Context(), "first", "second"); err != nil {
		t.Error(err)
	}
	if err := g.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if answers(context.WithoutCancel(t.Context()), g.S3Endpoint[len("http://"):]) {
		t.Error("the S3 server still answers after Stop")
	}
}
