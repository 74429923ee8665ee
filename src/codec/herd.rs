//! What HerdClient stores: `(Marker(), value, deadline)` (DR-40, DR-41).
