"""Progress: events in a bounded Redis stream, and the counters of a running scan."""
