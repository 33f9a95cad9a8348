"""What a run would do, found by running its own code against predicted replies."""
