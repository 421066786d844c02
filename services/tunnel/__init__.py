"""A way from a port of this machine to the ready pods of a Kubernetes Service."""
