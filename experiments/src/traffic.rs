//! The roadmap's traffic: three tables, their keys and their JSON documents.
//!
//! A document is a function of its table, its number and its revision. So a read-back knows the bytes that an
//! acknowledged write must have left without keeping them.

/// One of the three tables.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Table {
    /// Keys `user-<n>`.
    Users,
    /// Keys `prod-<n>`.
    Products,
    /// Keys `order-<n>`.
    Orders,
}

const PRODUCTS: [&str; 10] = [
    "Laptop",
    "Phone",
    "Headphones",
    "Keyboard",
    "Mouse",
    "Monitor",
    "Webcam",
    "Speaker",
    "Tablet",
    "Charger",
];
const STATUSES: [&str; 4] = ["pending", "processing", "shipped", "delivered"];

impl Table {
    /// All of them, in the order in which traffic goes round.
    pub const ALL: [Table; 3] = [Table::Users, Table::Products, Table::Orders];

    /// The table's name.
    pub fn name(self) -> &'static str {
        match self {
            Table::Users => "users",
            Table::Products => "products",
            Table::Orders => "orders",
        }
    }

    /// The number of the first key.
    pub fn first_number(self) -> u64 {
        match self {
            Table::Users | Table::Orders => 1_000,
            Table::Products => 100,
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Table::Users => "user-",
            Table::Products => "prod-",
            Table::Orders => "order-",
        }
    }

    /// Replaces `key` by the key of the `index`th document.
    pub fn write_key(self, index: u64, key: &mut Vec<u8>) {
        key.clear();
        Parts(key).text(self.prefix()).number(self.first_number() + index);
    }

    /// The index of a key that [`Table::write_key`] made; `None` for any other key.
    pub fn index_of(self, key: &[u8]) -> Option<u64> {
        let digits = std::str::from_utf8(key).ok()?.strip_prefix(self.prefix())?;
        if digits.starts_with(['0', '+']) {
            return None;
        }
        digits.parse::<u64>().ok()?.checked_sub(self.first_number())
    }

    /// Replaces `document` by the JSON of the `index`th document at `revision`.
    pub fn write_document(self, index: u64, revision: u32, document: &mut Vec<u8>) {
        document.clear();
        let number = self.first_number() + index;
        let random = mixed(number ^ (u64::from(revision) << 40) ^ ((self as u64) << 62));
        let mut parts = Parts(document);
        match self {
            Table::Users => {
                parts.text(r#"{"name":"User "#).number(number).text(r#"","email":"user"#).number(number);
                parts.text(r#"@example.com","age":"#).number(20 + random % 40).text("}");
            }
            Table::Products => {
                parts.text(r#"{"name":""#).text(PRODUCTS[(random % 10) as usize]);
                parts.text(r#"","price":"#).number(9 + (random >> 8) % 990).text(r#".99,"in_stock":"#);
                parts.text(if random >> 63 == 0 { "true}" } else { "false}" });
            }
            Table::Orders => {
                parts.text(r#"{"user_id":"user-0"#).two_digits(random % 100);
                parts.text(r#"","product_id":"prod-0"#).two_digits((random >> 8) % 100);
                parts.text(r#"","quantity":"#).number(1 + (random >> 16) % 5).text(r#","status":""#);
                parts.text(STATUSES[((random >> 24) % 4) as usize]).text(r#""}"#);
            }
        }
    }
}

/// Builds text by hand: a document is made for every write and again for its read-back, and the formatter would
/// cost as much as the write itself where nothing is synced.
struct Parts<'a>(&'a mut Vec<u8>);

impl Parts<'_> {
    fn text(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    fn number(&mut self, mut number: u64) -> &mut Self {
        let mut digits = [0_u8; 20];
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.0.extend_from_slice(&digits[first..]);
        self
    }

    fn two_digits(&mut self, number: u64) -> &mut Self {
        self.number(number / 10).number(number % 10)
    }
}

/// The finalizer of splitmix64 (Steele, Lea, Flood 2014): spreads a counter over all bits.
fn mixed(counter: u64) -> u64 {
    let mut z = counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    fn document(table: Table, index: u64, revision: u32) -> serde_json::Value {
        let mut bytes = Vec::new();
        table.write_document(index, revision, &mut bytes);
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn keys_are_the_roadmaps_and_lead_back_to_their_index() {
        let mut key = Vec::new();
        Table::Users.write_key(0, &mut key);
        assert_eq!(key, b"user-1000");
        Table::Products.write_key(5, &mut key);
        assert_eq!(key, b"prod-105");
        Table::Orders.write_key(12_345, &mut key);
        assert_eq!(key, b"order-13345");
        assert_eq!(Table::Orders.index_of(&key), Some(12_345));
        for stranger in
            [&b"user-1000"[..], b"order-", b"order-x", b"order-+1001", b"order-01001", b"order-999", b"\xff"]
        {
            assert_eq!(Table::Orders.index_of(stranger), None);
        }
    }

    #[test]
    fn documents_have_the_roadmaps_fields_and_ranges() {
        for index in 0..500 {
            let user = document(Table::Users, index, 0);
            assert_eq!(user["name"], format!("User {}", 1_000 + index));
            assert_eq!(user["email"], format!("user{}@example.com", 1_000 + index));
            assert!((20..60).contains(&user["age"].as_u64().unwrap()));
            let product = document(Table::Products, index, 1);
            assert!(PRODUCTS.contains(&product["name"].as_str().unwrap()));
            assert!(product["price"].to_string().ends_with(".99") && product["in_stock"].is_boolean());
            let order = document(Table::Orders, index, 2);
            assert!(order["user_id"].as_str().unwrap().starts_with("user-0"));
            assert!(order["product_id"].as_str().unwrap().starts_with("prod-0"));
            assert!((1..=5).contains(&order["quantity"].as_u64().unwrap()));
            assert!(STATUSES.contains(&order["status"].as_str().unwrap()));
        }
    }

    #[test]
    fn revisions_change_the_document() {
        for table in Table::ALL {
            let distinct: std::collections::BTreeSet<_> =
                (0..64).map(|revision| document(table, 7, revision).to_string()).collect();
            assert!(distinct.len() > 20, "{}: {}", table.name(), distinct.len());
        }
    }
}
