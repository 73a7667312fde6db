"""Commands that use the whole core; each module offers `add_parser`."""
