package explore

import "time"

// user is a user action that can happen at any time, at most once in a run.
type user struct {
	name     string
	possible func(*world) bool
	do       func(*world)
}

var users = []user{
	{name: "the Secret is deleted", possible: hasSecret, do: deleteSecret},
	{name: "the ApiToken is deleted", possible: hasToken, do: deleteToken},
	{name: "the namespace terminates", possible: hasToken, do: terminateNamespace},
	{name: "the Secret is edited", possible: hasSecret, do: editSecret},
	{name: "the Secret is forged", possible: hasSecret, do: forgeSecret},
	{name: "admission is lost", possible: hasToken, do: func(w *world) { w.put(notAdmitted) }},
	{name: "the Secret is sealed", possible: hasToken, do: func(w *world) { w.put(sealed) }},
	{name: "a finalizer is put on the Secret", possible: hasSecret, do: (*world).hold},
	{name: "buckets change", possible: hasToken, do: changeBuckets},
	{name: "scopes change", possible: hasToken, do: changeScopes},
	{name: "the previous credential is ended", possible: func(w *world) bool { return hasToken(w) && previous(w) != "" }, do: endPrevious},
	{name: "an old Secret is restored", possible: func(w *world) bool { return w.old != nil && hasToken(w) }, do: restoreSecret},
	{name: "the wall clock jumps back", do: func(w *world) { w.skew -= 2 * time.Minute }},
	{name: "the wall clock jumps ahead", do: func(w *world) { w.skew += 20 * time.Second }},
	{name: "the wall clock jumps a year back", do: func(w *world) { w.jump(-year) }},
	{name: "the wall clock jumps a year ahead", do: func(w *world) { w.jump(year) }},
}

func hasSecret(w *world) bool { s := w.secret(); return s != nil && s.DeletionTimestamp.IsZero() }

func hasToken(w *world) bool {
	t := w.token()
	return t != nil && t.DeletionTimestamp.IsZero() && !namespaceTerminates(w)
}

func namespaceTerminates(w *world) bool {
	return w.used["the namespace terminates"]
}
