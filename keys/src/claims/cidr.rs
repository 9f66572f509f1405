//! Address blocks in CIDR notation (RFC 4632, RFC 4291), as the claim `cidr` carries them.

use std::{fmt, net::IpAddr, str::FromStr};

/// A block of addresses, with no bit set after the prefix.
///
/// ```
/// # use bulla::claims::Cidr;
/// let block: Cidr = "10.20.0.0/16".parse()?;
/// assert!(block.contains("10.20.30.40".parse().unwrap()));
/// assert!(block.contains("::ffff:10.20.30.40".parse().unwrap()), "an IPv4-mapped address is its IPv4 address");
/// assert!("10.20.30.40/16".parse::<Cidr>().is_err(), "host bits");
/// # Ok::<(), bulla::claims::CidrError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

/// A text that is not an address block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CidrError {
    /// Not `ADDRESS/PREFIX`, nor an address alone.
    #[error("an address block reads `10.0.0.0/8`, `2001:db8::/32`, or one address alone")]
    Syntax,
    /// The prefix is longer than the address.
    #[error("the prefix is at most 32 for IPv4 and 128 for IPv6")]
    Prefix,
    /// Bits are set after the prefix.
    #[error("bits are set after the prefix: write the block's first address")]
    HostBits,
}

impl Cidr {
    /// The block of `prefix` bits at `address`.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, CidrError> {
        let (bits, width) = bits(address);
        if prefix > width {
            return Err(CidrError::Prefix);
        }
        let host = u128::MAX.checked_shr(u32::from(128 - width + prefix)).unwrap_or(0);
        if bits & host != 0 { Err(CidrError::HostBits) } else { Ok(Cidr { address, prefix }) }
    }

    /// Returns whether `address` lies in the block. An IPv4-mapped IPv6 address counts as its IPv4 address; otherwise
    /// blocks hold addresses of their own family alone.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (block, width) = bits(self.address);
        let (address, other_width) = bits(address.to_canonical());
        let differing = (block ^ address).leading_zeros();
        width == other_width && differing >= u32::from(128 - width + self.prefix)
    }

    /// The form in which the claim carries it: the address's 4 or 16 bytes and the prefix length.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = match self.address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        bytes.push(self.prefix);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (prefix, address) = bytes.split_last()?;
        let address = match address.len() {
            4 => IpAddr::from(<[u8; 4]>::try_from(address).ok()?),
            16 => IpAddr::from(<[u8; 16]>::try_from(address).ok()?),
            _ => return None,
        };
        Cidr::new(address, *prefix).ok()
    }
}

/// The address in the low bits, and how many there are.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let given: IpAddr = address.parse().map_err(|_| CidrError::Syntax)?;
        let full = bits(given).1;
        let prefix = match prefix {
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) && digits.len() <= 3 => {
                digits.parse::<u16>().map_err(|_| CidrError::Syntax)?
            }
            Some(_) => return Err(CidrError::Syntax),
            None => u16::from(full),
        };
        let prefix = u8::try_from(prefix).map_err(|_| CidrError::Prefix)?;
        let block = Cidr::new(given, prefix)?;
        // Clients are compared by their IPv4 address, so a mapped block would never match as it stands.
        match given.to_canonical() {
            canonical @ IpAddr::V4(_) if given.is_ipv6() && prefix >= 96 => Cidr::new(canonical, prefix - 96),
            _ => Ok(block),
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_what_they_name_and_nothing_else() {
        let holds = |block: &str, address: &str| {
            block.parse::<Cidr>().expect("a block").contains(address.parse().expect("an address"))
        };
        assert!(holds("0.0.0.0/0", "255.255.255.255"));
        assert!(holds("10.0.0.0/8", "10.255.0.1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.0"));
        assert!(holds("192.0.2.7", "192.0.2.7"));
        assert!(!holds("192.0.2.7/32", "192.0.2.6"));
        assert!(holds("2001:db8::/33", "2001:db8:7fff::1"));
        assert!(!holds("2001:db8::/33", "2001:db8:8000::1"));
        assert!(!holds("::/0", "192.0.2.7"), "families stay apart");
        assert!(!holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("::ffff:10.0.0.0/104", "10.1.2.3"), "a mapped block is written as its IPv4 block");
    }

    #[test]
    fn wrong_blocks_are_named() {
        for (text, error) in [
            ("", CidrError::Syntax),
            ("10.0.0.0/", CidrError::Syntax),
            ("10.0.0.0/+8", CidrError::Syntax),
            ("10.0.0.0/33", CidrError::Prefix),
            ("::/129", CidrError::Prefix),
            ("::/999", CidrError::Prefix),
            ("10.0.0.1/8", CidrError::HostBits),
            ("2001:db8::1/64", CidrError::HostBits),
        ] {
            assert_eq!(text.parse::<Cidr>(), Err(error), "{text:?}");
        }
    }
}
