package views

// Listeners counts the topics that somebody waits on.
func (s *Set) Listeners() int {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return len(s.hub.listeners)
}
