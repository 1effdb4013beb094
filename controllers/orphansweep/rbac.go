package orphansweep

// The sweep reads the ledgers and the metadata of Secrets in every namespace: a credential
// is an orphan only if no namespace has it.
//
// +kubebuilder:rbac:groups=apitoken.dev,resources=apitokens;tokenproviders;clustertokenproviders,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
