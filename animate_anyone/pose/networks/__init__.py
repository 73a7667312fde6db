"""Pose networks: reading and running ONNX files, the detector and the estimator."""
