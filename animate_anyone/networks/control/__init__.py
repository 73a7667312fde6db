"""ControlNets: for the reference picture, and for hints that match the frames place by place."""
