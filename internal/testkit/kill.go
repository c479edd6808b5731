package testkit

// Kill ends the service at once, with no moment to put anything in order, and
// returns when it is gone.
func (s *Service) Kill() {
	s.cmd.Process.Kill()
	err := <-s.done
	s.done <- err
}

// PID is the id of the service's process.
func (s *Service) PID() int { return s.cmd.Process.Pid }
