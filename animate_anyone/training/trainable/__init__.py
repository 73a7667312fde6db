"""What a run trains: parts of the networks by name, or low-rank changes of their layers."""
