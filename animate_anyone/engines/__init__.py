"""What runs a list of work: this process, processes of this machine, or Ray on many machines."""
