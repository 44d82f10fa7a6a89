"""Progress: events in a bounded Redis stream, and the figures of running scans."""
