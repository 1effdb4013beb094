package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"apitoken.dev/operator/api/v1alpha1"
)

// credentialPath is where the operator keeps its IAM users.
const credentialPath = "/apitoken/"

// held asks the IAM server, as root, for the users of the operator and how many
// access keys each has.
func (d *demo) held(ctx context.Context) (map[string]int, error) {
	users := map[string]int{}
	root := d.gateway.IAM(d.gateway.Root())
	pages := iam.NewListUsersPaginator(root, &iam.ListUsersInput{PathPrefix: aws.String(credentialPath)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing users: %w", err)
		}
		for _, user := range page.Users {
			keys, err := root.ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: user.UserName})
			if err != nil {
				return nil, fmt.Errorf("listing keys: %w", err)
			}
			users[aws.ToString(user.UserName)] = len(keys.AccessKeyMetadata)
		}
	}
	return users, nil
}

// allKnown checks that a ledger names every user at the provider. It lists the provider
// first: a user that is made in the meantime is in a ledger before it exists.
func (d *demo) allKnown(ctx context.Context) (string, error) {
	users, err := d.held(ctx)
	if err != nil {
		return "", err
	}
	tokens := &v1alpha1.ApiTokenList{}
	if err := d.cluster.List(ctx, tokens); err != nil {
		return "", err
	}
	var names []string
	for i := range tokens.Items {
		for j := range tokens.Items[i].Status.Credentials {
			names = append(names, tokens.Items[i].Status.Credentials[j].Name)
		}
	}
	for user, keys := range users {
		if !slices.Contains(names, user) {
			return "", fmt.Errorf("user %s with %d keys is in no ledger; the ledgers name %v", user, keys, names)
		}
	}
	return fmt.Sprintf("%d users, %d names in the ledgers", len(users), len(names)), nil
}

// noneHeld checks that the provider has no users of the operator.
func (d *demo) noneHeld(ctx context.Context) (string, error) {
	users, err := d.held(ctx)
	if err == nil && len(users) > 0 {
		err = fmt.Errorf("users and their number of keys: %v", users)
	}
	return "", err
}
