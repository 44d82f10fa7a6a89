"""Side-by-side measurements: nine services against one worker, us against others, and why."""
