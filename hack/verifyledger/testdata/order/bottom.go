package order

func bottom() int {
	if f := Top; f != nil { // want Top of top.go
		return 1
	}
	t := thing{field: 2} // want field of top.go, thing of top.go
	return t.method()    // want method of top.go
}
