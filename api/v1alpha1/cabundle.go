package v1alpha1

// CABundle returns the PEM text of the private CAs that the servers of this provider
// may have, and the path of its field; both are empty when no driver block is set.
func (s *ProviderSpec) CABundle() (field, bundle string) {
	switch {
	case s.AWS != nil:
		return "spec.aws.caBundle", s.AWS.CABundle
	case s.IBEE != nil:
		return "spec.ibee.caBundle", s.IBEE.CABundle
	case s.Crusoe != nil:
		return "spec.crusoe.caBundle", s.Crusoe.CABundle
	case s.ProxyScrape != nil:
		return "spec.proxyscrape.caBundle", s.ProxyScrape.CABundle
	case s.KloudBean != nil:
		return "spec.kloudbean.caBundle", s.KloudBean.CABundle
	case s.Rest != nil:
		return "spec.rest.caBundle", s.Rest.CABundle
	}
	return "", ""
}
