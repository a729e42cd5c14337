"""What both generations are written with: words, outcomes, steps, effects, bytes."""
