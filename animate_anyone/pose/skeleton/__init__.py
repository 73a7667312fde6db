"""The skeleton as data: joints, layouts of keypoints, and arrays of all points."""
