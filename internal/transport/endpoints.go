package transport

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// The words of Endpoints.
const (
	public  = "public"
	private = "private"
)

// refusedRanges are the loopback and link-local addresses, and those where a cloud serves
// the metadata and credentials of a machine. The author of a TokenProvider must not reach
// them through the operator.
var refusedRanges = prefixes(
	"0.0.0.0/8",          // this host (RFC 1122, section 3.2.1.3)
	"127.0.0.0/8",        // loopback (RFC 1122, section 3.2.1.3)
	"169.254.0.0/16",     // link-local (RFC 3927)
	"169.254.169.254/32", // metadata of most clouds
	"169.254.170.0/24",   // credentials of AWS for containers
	"100.64.0.0/10",      // shared address space (RFC 6598): networks of the infrastructure
	"100.100.100.200/32", // metadata of Alibaba Cloud
	"168.63.129.16/32",   // WireServer of Azure
	"192.0.0.0/24",       // IETF protocol assignments (RFC 6890); metadata of Oracle Cloud is 192.0.0.192
	"::/128",             // unspecified
	"::1/128",            // loopback
	"fe80::/10",          // link-local
	"64:ff9b:1::/48",     // IPv4 through a local NAT64, with a network-specific format (RFC 8215)
	"fd00:ec2::/32",      // services of AWS for its machines; metadata is fd00:ec2::254
	"fd20:ce::254/128",   // metadata of Google Cloud
)

// privateRanges are used inside organizations, and not routed in the Internet.
var privateRanges = prefixes(
	"10.0.0.0/8",     // private use (RFC 1918)
	"172.16.0.0/12",  // private use (RFC 1918)
	"192.168.0.0/16", // private use (RFC 1918)
	"198.18.0.0/15",  // benchmarks of networks (RFC 2544)
	"240.0.0.0/4",    // reserved (RFC 1112, section 4); pods and nodes of some clusters have such addresses
	"fc00::/7",       // unique local (RFC 4193)
	"fec0::/10",      // site-local (deprecated by RFC 3879)
)

// embedding are the prefixes of IPv6 addresses that contain an IPv4 address, with the byte
// where it begins.
var embedding = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},    // NAT64 (RFC 6052)
	{netip.MustParsePrefix("2002::/16"), 2},        // 6to4 (RFC 3056)
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12}, // IPv4-translated (RFC 7915)
	{netip.MustParsePrefix("::/96"), 12},           // IPv4-compatible (RFC 4291, section 2.5.5.1)
}

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(list))
	for _, p := range list {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

// Endpoints are the addresses that TokenProviders can reach. The zero value is "private". It
// is the value of a flag, a comma-separated list of
//
//   - public: addresses of the Internet
//   - private: in addition, private networks (RFC 1918, RFC 4193), 240.0.0.0/4 and
//     198.18.0.0/15
//   - a CIDR such as 10.20.0.0/16: these addresses, in addition to public ones
//
// Loopback, link-local and metadata addresses are refused, unless a CIDR includes them: the
// smallest range that contains an address decides, and a CIDR of the flag wins over an
// equal range.
type Endpoints struct {
	words   []string
	allowed []netip.Prefix
	private bool
}

// String implements flag.Value.
func (e Endpoints) String() string {
	if len(e.words) == 0 {
		return private
	}
	return strings.Join(e.words, ",")
}

// Type implements pflag.Value.
func (Endpoints) Type() string { return "list" }

// Equal reports whether two values have the same elements.
func (e Endpoints) Equal(other Endpoints) bool { return e.String() == other.String() }

// Set implements flag.Value. It replaces the earlier value.
func (e *Endpoints) Set(list string) error {
	var out Endpoints
	for word := range strings.SplitSeq(list, ",") {
		word = strings.TrimSpace(word)
		switch word {
		case public:
		case private:
			out.private = true
		default:
			p, err := netip.ParsePrefix(word)
			if err != nil {
				return fmt.Errorf("%q is not public, private or a CIDR such as 10.20.0.0/16", word)
			}
			if p.Addr().Is4In6() {
				return fmt.Errorf("%q: write an IPv4 CIDR in its own form, such as 10.20.0.0/16", word)
			}
			out.allowed = append(out.allowed, p.Masked())
		}
		out.words = append(out.words, word)
	}
	*e = out
	return nil
}

// Allows reports whether a TokenProvider can reach an address. An IPv4 address inside an
// IPv6 address must be allowed too.
func (e Endpoints) Allows(a netip.Addr) bool {
	a = a.WithZone("").Unmap()
	if !e.allows(a) {
		return false
	}
	if a.Is4() || a.IsLoopback() || a.IsUnspecified() {
		return true
	}
	for _, form := range embedding {
		if form.prefix.Contains(a) {
			b := a.As16()
			return e.allows(netip.AddrFrom4([4]byte(b[form.at : form.at+4])))
		}
	}
	return true
}

func (e Endpoints) allows(a netip.Addr) bool {
	refused := refusedRanges
	if len(e.words) > 0 && !e.private {
		refused = slices.Concat(refusedRanges, privateRanges)
	}
	no, yes := longest(refused, a), longest(e.allowed, a)
	return no < 0 || yes >= no
}

// longest returns the length of the longest prefix that contains an address; -1 if none
// does.
func longest(list []netip.Prefix, a netip.Addr) int {
	out := -1
	for _, p := range list {
		if p.Contains(a) {
			out = max(out, p.Bits())
		}
	}
	return out
}
