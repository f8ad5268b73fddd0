"""The programs behind every number of the book: `python -m benchmarks.results` lists them all."""
