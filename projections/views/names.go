package views

// The views' names: what status and rebuild call them, and what their keys begin
// with.
const (
	Events      = "events"
	Search      = "search"
	Orders      = "orders"
	Chains      = "chains"
	Accounts    = "accounts"
	Strategies  = "strategies"
	Users       = "users"
	Instruments = "instruments"
	Entities    = "entities"
	Daily       = "daily"
	Latency     = "latency"
	Anomalies   = "anomalies"
)
