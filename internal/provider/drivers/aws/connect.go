package aws

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
)

// defaultRegion is the region in signatures for IAM, except in AWS's other partitions.
const defaultRegion = "us-east-1"

// Reads and deletions are sent at most maxAttempts times, with at most maxBackoff between
// them. Requests that create something are sent once.
const (
	maxAttempts = 3
	maxBackoff  = time.Second
)

// Connect implements provider.Driver. It looks up the account of the minting credentials,
// and lists one user below the operator's path to check their permissions.
func (*Driver) Connect(ctx context.Context, cfg provider.Config) (provider.Client, provider.Account, error) {
	settings, err := settingsOf(cfg)
	if err != nil {
		return nil, provider.Account{}, err
	}
	opts, err := optionsFor(cfg, settings)
	if err != nil {
		return nil, provider.Account{}, err
	}
	c := &client{iam: iam.New(opts), settings: settings, cluster: cfg.Cluster}
	account, err := c.accountID(ctx, opts)
	if err != nil {
		return nil, provider.Account{}, err
	}
	_, err = c.iam.ListUsers(ctx, &iam.ListUsersInput{PathPrefix: aws.String(rootPath), MaxItems: aws.Int32(1)})
	if err != nil {
		return nil, provider.Account{}, failure("iam:ListUsers", err)
	}
	out := provider.Account{ID: account, GrantableScopes: grantable()}
	if !settings.atAWS() {
		out.Former = []string{account + "@" + settings.endpointHost()}
	}
	return c, out, nil
}

func optionsFor(cfg provider.Config, s settings) (iam.Options, error) {
	keys, err := mintingKeys(cfg)
	if err != nil {
		return iam.Options{}, err
	}
	opts := iam.Options{
		Region:      s.Region,
		Credentials: keys,
		HTTPClient:  bounded.HTTP(cfg.HTTP),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff = maxAttempts, maxBackoff
			o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(notOurs)}, o.Retryables...)
		}),
	}
	opts.APIOptions = append(opts.APIOptions, shaped)
	if s.IAMEndpoint != "" {
		opts.BaseEndpoint = aws.String(s.IAMEndpoint)
	}
	if !s.atAWS() {
		opts.Region = defaultRegion
	}
	if product, version, ok := strings.Cut(cfg.UserAgent, "/"); ok {
		opts.APIOptions = append(opts.APIOptions, middleware.AddUserAgentKeyValue(product, version))
	}
	return opts, nil
}

// mintingKeys returns the minting credentials: long-lived ones, or temporary ones with
// their session token.
func mintingKeys(cfg provider.Config) (aws.CredentialsProvider, error) {
	refuse := func(message string) (aws.CredentialsProvider, error) {
		return nil, &provider.Error{Code: provider.CodeUnauthenticated, NotExecuted: true, Message: message}
	}
	id, secret, session := cfg.Credentials[KeyID], cfg.Credentials[KeySecret], cfg.Credentials[KeySession]
	if id.Empty() || secret.Empty() {
		return refuse("the credentials Secret needs the keys " + KeyID + " and " + KeySecret)
	}
	for _, key := range []string{KeyID, KeySecret, KeySession} {
		if strings.ContainsFunc(cfg.Credentials[key].Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
			return refuse("the key " + key + " of the credentials Secret holds a space, a line break or another character " +
				"that no key of AWS has; store the value alone")
		}
	}
	return credentials.NewStaticCredentialsProvider(id.Reveal(), secret.Reveal(), session.Reveal()), nil
}

// notOurs prevents a retry of what this driver or a limit rejected.
func notOurs(err error) aws.Ternary {
	var ours *provider.Error
	if errors.As(err, &ours) || errors.Is(err, bounded.ErrAddress) {
		return aws.FalseTernary
	}
	return aws.UnknownTernary
}

// accountID returns the account that STS reports. AWS serves STS at an endpoint of its
// own, other known servers at the IAM endpoint. If the server has no STS, the account
// comes from the ARN of the caller's IAM user.
func (c *client) accountID(ctx context.Context, opts iam.Options) (string, error) {
	stsOpts := sts.Options{
		Region: opts.Region, Credentials: opts.Credentials, HTTPClient: opts.HTTPClient,
		Retryer: opts.Retryer, APIOptions: opts.APIOptions,
	}
	if !c.settings.atAWS() {
		stsOpts.BaseEndpoint = opts.BaseEndpoint
	}
	who, err := sts.New(stsOpts).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	switch {
	case err == nil && aws.ToString(who.Account) == "":
		return "", nonsense("sts:GetCallerIdentity", "without an account")
	case err == nil:
		return aws.ToString(who.Account), nil
	case c.settings.atAWS() || !rejected(err) && !unserved(err):
		return "", failure("sts:GetCallerIdentity", err)
	}
	return c.accountOfUser(ctx)
}

// accountOfUser returns the account in the ARN of the caller's own IAM user.
func (c *client) accountOfUser(ctx context.Context) (string, error) {
	self, err := c.iam.GetUser(ctx, &iam.GetUserInput{})
	if err != nil {
		return "", failure("iam:GetUser", err)
	}
	if self.User == nil {
		return "", nonsense("iam:GetUser", "without a user")
	}
	parsed, err := arn.Parse(aws.ToString(self.User.Arn))
	if err != nil || parsed.AccountID == "" { // otherwise all accounts would count as one
		return "", &provider.Error{
			Code: provider.CodeUnknown, Err: err, Message: "iam:GetUser: the server does not tell which account the minting credentials belong to: " +
				"the ARN of their user has no account; use a server that has STS, or a user of an account",
		}
	}
	return parsed.AccountID, nil
}
