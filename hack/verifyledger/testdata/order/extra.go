package order

func extra() int { return bottom() }

var _ = extra
