//! How far a consumer must go back before it can follow a producer's history.
