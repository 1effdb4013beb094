package orphansweep

// The sweep reads all ledgers, and which Secrets hold what, in every namespace:
// a credential is an orphan only if no namespace knows it.
//
// +kubebuilder:rbac:groups=apitoken.dev,resources=apitokens;tokenproviders;clustertokenproviders,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
