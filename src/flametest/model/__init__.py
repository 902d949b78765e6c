"""The words that every room shares: events, samples, measures, verdicts, the result. Standard library only."""
