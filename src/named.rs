//! Values by name: one map of names for values of all types, since each type of map is some kilobytes of code.

use std::collections::BTreeMap;

/// Values by name, in the order of their names.
#[derive(Clone, Debug)]
pub struct Named<T> {
    places: BTreeMap<String, usize>,
    values: Vec<T>,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Named { places: BTreeMap::new(), values: Vec::new() }
    }
}

impl<T: PartialEq> PartialEq for Named<T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T: Eq> Eq for Named<T> {}

impl<T> Named<T> {
    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.values.get(*self.places.get(name)?)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &String> + Clone {
        self.places.keys()
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &T)> {
        self.places.iter().filter_map(|(name, place)| Some((name, self.values.get(*place)?)))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        (self.places, self.values) = (BTreeMap::new(), Vec::new());
    }

    /// Adds a value unless there is one of this name.
    pub fn add(&mut self, name: String, value: T) {
        if !self.places.contains_key(&name) {
            self.places.insert(name, self.values.len());
            self.values.push(value);
        }
    }
}

impl<T: Default> Named<T> {
    /// The value of this name, a new one if there is none.
    pub fn entry(&mut self, name: &str) -> &mut T {
        let place = match self.places.get(name) {
            Some(place) => *place,
            None => {
                self.places.insert(name.to_owned(), self.values.len());
                self.values.len()
            }
        };
        if place >= self.values.len() {
            self.values.push(T::default());
        }
        &mut self.values[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_each_is_there_once() {
        let mut named = Named::default();
        for (name, value) in [("b", 1), ("a", 2), ("b", 3), ("", 4)] {
            named.add(name.to_owned(), value);
        }
        *named.entry("a") += 10;
        *named.entry("c") += 5;
        assert_eq!(
            named.iter().map(|(name, value)| (name.as_str(), *value)).collect::<Vec<_>>(),
            [("", 4), ("a", 12), ("b", 1), ("c", 5)]
        );
        assert_eq!((named.get("b"), named.get("x"), named.names().count()), (Some(&1), None, 4));
        named.clear();
        assert!(named.is_empty() && named.get("a").is_none());
    }
}
