"""Programs to start from; the numbered ones stand alone, flights is the whole thing."""
