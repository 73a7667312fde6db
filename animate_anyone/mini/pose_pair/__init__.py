"""aa-mini's person detector and keypoint estimator, with the tensors of DWPose's two files."""
