package client_test

const childVariable = "TRADETRAIL_CLIENT_CHILD"

func runChild() int { return 0 }
