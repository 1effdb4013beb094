package crusoesim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// window is how far the timestamp of a request may be off. It is checked "to prevent
// replay attacks" (https://docs.crusoecloud.com/reference/api). The limit is not
// documented; this is a guess.
const window = 5 * time.Minute

// caller returns the user that signed a request.
func (s *Simulator) caller(r *http.Request) (User, bool) {
	timestamp := r.Header.Get("X-Crusoe-Timestamp")
	at, err := time.Parse(time.RFC3339, timestamp)
	if err != nil || at.Location() != time.UTC || at.Nanosecond() != 0 {
		return User{}, false
	}
	if off := s.now().Sub(at); off > window || off < -window {
		return User{}, false
	}
	scheme, credentials, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	parts := strings.Split(credentials, ":")
	if scheme != "Bearer" || len(parts) != 3 || parts[0] != "1.0" {
		return User{}, false
	}
	i := slices.IndexFunc(s.users, func(u User) bool { return u.AccessKeyID == parts[1] })
	if i < 0 {
		return User{}, false
	}
	query, sorted := canonical(r.URL.RawQuery)
	key, err := base64.RawURLEncoding.DecodeString(s.users[i].SecretKey)
	if err != nil || !sorted {
		return User{}, false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(r.URL.Path + "\n" + query + "\n" + r.Method + "\n" + timestamp + "\n"))
	want := base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	return s.users[i], hmac.Equal([]byte(want), []byte(parts[2]))
}

// canonical returns the query sorted by its keys, and whether it was sent like that
// (https://support.crusoecloud.com/hc/en-us/articles/37166958525467).
func canonical(raw string) (query string, sorted bool) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return "", false
	}
	query = values.Encode()
	return query, query == raw
}
