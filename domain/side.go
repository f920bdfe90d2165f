package domain

// Buys tells what a side (FIX 54) is, in any of the spellings of the three input
// shapes and of FIX; known is false for what is neither buying nor selling.
func Buys(side string) (buys, known bool) {
	if side == "" {
		return false, false
	}
	if sameSide(side, "buy") {
		return true, true
	}
	return false, sameSide(side, "sell") || sameSide(side, "sell_short")
}
