"""Commands that are killed, that meet a full disk, or that two processes run at once."""
