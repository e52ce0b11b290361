//! The macro for tables of protocol numbers: a newtype, its named values, and its text.
//!
//! A newtype and not an `enum`, because unknown numbers must be passed on unchanged.

macro_rules! codes {
    (
        $(#[$meta:meta])*
        $name:ident($repr:ty) {
            $( $(#[$vmeta:meta])* $konst:ident = $value:literal, $text:literal; )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $repr);

        impl $name {
            $( $(#[$vmeta])* #[doc = concat!("`", $text, "`, ", stringify!($value), ".")]
            pub const $konst: Self = Self($value); )+

            /// Every value that has a name, in the order of the table.
            pub const NAMED: &'static [Self] = &[$( Self::$konst, )+];

            /// The name of this value, or `None` if the number is not in the table.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $( $value => Some($text), )+
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{:#04x}", self.0),
                }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{self}")
            }
        }
    };
}
