package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/e2e/gateway"
)

// minterPolicy is the shipped policy of the minting user.
const minterPolicy = "config/samples/aws-minter-policy.json"

// start starts the servers and the operator.
func (d *demo) start(ctx context.Context) error {
	d.out.heading("Start real servers and the real operator")
	for _, step := range []func(context.Context) error{
		d.startCluster, d.startGateway, d.makeMinter, d.install, d.startOperator,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) startCluster(ctx context.Context) error {
	return d.out.check(ctx, "a Kubernetes API server answers, with etcd and kube-controller-manager", func() (string, error) {
		c, stop, err := startCluster()
		if err != nil {
			return "", err
		}
		d.cluster = c
		d.later(stop)
		if err := c.writeAdminKubeconfig(d.kubeconfig()); err != nil {
			return "", err
		}
		return c.version(ctx)
	})
}

// kubeconfig of the administrator.
func (d *demo) kubeconfig() string { return filepath.Join(d.dir, "kubeconfig") }

func (d *demo) startGateway(ctx context.Context) error {
	return d.out.check(ctx, "versitygw answers with S3 and IAM, and has two buckets", func() (string, error) {
		g, err := gateway.Start(ctx, filepath.Join(d.dir, "gateway"), gateway.Options{})
		if err != nil {
			return "", err
		}
		d.gateway = g
		d.secrets.add(g.RootSecretKey)
		d.later(func() { _ = g.Stop() })
		return bucket + ", " + otherBucket, g.CreateBuckets(ctx, bucket, otherBucket)
	})
}

// makeMinter creates the user whose keys the operator mints with, as the documentation
// says, and checks that it has no other rights.
func (d *demo) makeMinter(ctx context.Context) error {
	const claim = "the minting user has the rights of " + minterPolicy + " and no others"
	return d.out.check(ctx, claim, func() (string, error) {
		keys, err := d.gateway.CreateUser(ctx, "minter", filepath.Join(d.root, minterPolicy))
		if err != nil {
			return "", err
		}
		d.minter = keys
		d.secrets.add(keys.SecretAccessKey)
		_, err = refusal("listing a bucket as the minting user", func() error {
			_, err := d.gateway.S3(keys).ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
			return err
		})
		if err != nil {
			return "", err
		}
		_, err = refusal("creating a key for a user outside "+credentialPath, func() error {
			_, err := d.gateway.IAM(keys).CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: aws.String("minter")})
			return err
		})
		return "it cannot use S3 or change other users", err
	})
}

// install applies the manifests of make deploy, without the Deployment: there is no
// node, so the demo starts the process. The control plane already has the CRDs.
func (d *demo) install(ctx context.Context) error {
	return d.out.check(ctx, "config/crd and config/rbac are installed, and the minter's keys are in a Secret", func() (string, error) {
		namespace, err := documents(filepath.Join(d.root, "config/namespace/namespace.yaml"))
		if err != nil {
			return "", err
		}
		rights, err := resources(filepath.Join(d.root, "config/rbac"))
		if err != nil {
			return "", err
		}
		if err := d.cluster.apply(ctx, append(namespace, rights...)...); err != nil {
			return "", err
		}
		for _, list := range []client.ObjectList{&v1alpha1.ApiTokenList{}, &v1alpha1.TokenProviderList{}, &v1alpha1.ClusterTokenProviderList{}} {
			if err := d.cluster.List(ctx, list); err != nil {
				return "", err
			}
		}
		return operatorNamespace + "/" + minterSecret, d.cluster.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: minterSecret},
			StringData: map[string]string{"AWS_ACCESS_KEY_ID": d.minter.AccessKeyID, "AWS_SECRET_ACCESS_KEY": d.minter.SecretAccessKey},
		})
	})
}

// startOperator starts the binary with the flags of the Deployment and a token of
// its ServiceAccount.
func (d *demo) startOperator(ctx context.Context) error {
	return d.out.check(ctx, "the operator runs as its ServiceAccount, with only the rights of config/rbac", func() (string, error) {
		args, err := operatorArgs(filepath.Join(d.root, "config/manager"))
		if err != nil {
			return "", err
		}
		cfg, err := d.cluster.as(ctx, operatorNamespace, operatorName)
		if err != nil {
			return "", err
		}
		d.secrets.add(cfg.BearerToken)
		d.operator = &operator{
			binary: d.manager, args: args,
			kubeconfig: filepath.Join(d.dir, "operator.kubeconfig"), logFile: filepath.Join(d.dir, "operator.log"),
		}
		if err := writeKubeconfig(d.operator.kubeconfig, cfg); err != nil {
			return "", err
		}
		who, err := d.rightsOf(ctx, cfg)
		if err != nil {
			return "", err
		}
		if d.running, err = d.operator.start(ctx); err != nil {
			return "", err
		}
		d.later(func() { _ = d.running.stop() })
		return who, nil
	})
}

// rightsOf returns the user name of a configuration, and checks that it lacks a right that
// the operator must not have.
func (d *demo) rightsOf(ctx context.Context, cfg *rest.Config) (string, error) {
	c, err := client.New(cfg, client.Options{Scheme: d.cluster.Scheme()})
	if err != nil {
		return "", err
	}
	who := &authenticationv1.SelfSubjectReview{}
	may := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Group: "apitoken.dev", Resource: "apitokens", Verb: "create"},
	}}
	if err := errors.Join(c.Create(ctx, who), c.Create(ctx, may)); err != nil {
		return "", err
	}
	name := who.Status.UserInfo.Username
	if want := "system:serviceaccount:" + operatorNamespace + ":" + operatorName; name != want {
		return "", fmt.Errorf("it is %s, not %s", name, want)
	}
	if may.Status.Allowed {
		return "", fmt.Errorf("%s may create ApiTokens: %s", name, may.Status.Reason)
	}
	return name, nil
}

// logIsClean checks that the operator's log has no secret values and reports no missing right.
func (d *demo) logIsClean() (string, error) {
	content, err := os.ReadFile(d.operator.logFile)
	if err != nil {
		return "", err
	}
	if d.secrets.redact(string(content)) != string(content) {
		return "", errors.New("it contains a secret value")
	}
	if line := lineWith(string(content), "is forbidden: user"); line != "" {
		return "", errors.New(line)
	}
	return fmt.Sprintf("%d bytes, searched for %d secret values", len(content), d.secrets.known()), nil
}

// lineWith returns the first line that contains a lower-case text, ignoring case.
func lineWith(text, word string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(strings.ToLower(line), word) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
