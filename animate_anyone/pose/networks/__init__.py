"""Pose networks: ONNX files, what runs them, detector and estimator."""
