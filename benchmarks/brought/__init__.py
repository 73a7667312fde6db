"""What people bring: kinds of clips, pictures and keypoint files, and what is made of each."""
