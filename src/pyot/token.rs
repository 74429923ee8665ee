//! The name of a call to a service, by which its answer is stored (PY-T).
