"""What an evaluation keeps on the disk: the figures of every clip, and the generated clips."""
