package order

func middle() int { return bottom() }
