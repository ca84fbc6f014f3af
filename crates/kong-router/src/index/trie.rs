//! A persistent map from byte strings, which also finds all keys that begin a given text.
//!
//! A radix trie of reference-counted nodes: a copy shares all nodes, and a change copies those from the root to the place
//! of the change (or none where they are not shared).

use std::sync::Arc;

use smallvec::SmallVec;

/// Something that knows the greatest priority inside it.
pub(crate) trait Ranked {
    fn top(&self) -> u64;
}

pub(crate) struct Trie<V> {
    root: Option<Arc<Node<V>>>,
}

struct Node<V> {
    /// What the key has here, after that of the nodes above.
    label: SmallVec<[u8; 16]>,
    value: Option<V>,
    /// The greatest priority here and below.
    top: u64,
    /// The first byte of each child's label.
    firsts: SmallVec<[u8; 16]>,
    children: Vec<Arc<Node<V>>>,
    /// Where a byte's child is, from `base` on. Bytes without a child lead to any; its label tells.
    table: SmallVec<[u8; 16]>,
    base: u8,
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Trie { root: None }
    }
}

impl<V> Clone for Trie<V> {
    fn clone(&self) -> Self {
        Trie {
            root: self.root.clone(),
        }
    }
}

impl<V: Clone> Clone for Node<V> {
    fn clone(&self) -> Self {
        Node {
            label: self.label.clone(),
            value: self.value.clone(),
            top: self.top,
            firsts: self.firsts.clone(),
            children: self.children.clone(),
            table: self.table.clone(),
            base: self.base,
        }
    }
}

impl<V> Trie<V> {
    pub(crate) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The greatest priority of all values.
    #[inline]
    pub(crate) fn top(&self) -> u64 {
        self.root.as_ref().map_or(0, |node| node.top)
    }

    /// The value of `key`.
    #[inline]
    pub(crate) fn get(&self, mut key: &[u8]) -> Option<&V> {
        let mut node = self.root.as_deref()?;
        loop {
            key = after_label(key, &node.label)?;
            match key.first() {
                None => return node.value.as_ref(),
                Some(first) => node = node.child(*first)?,
            }
        }
    }

    /// Shows the values of all keys that `text` begins with, the shortest first.
    #[inline]
    pub(crate) fn prefixes<'t>(&'t self, mut text: &[u8], visit: &mut impl FnMut(&'t V)) {
        let mut next = self.root.as_deref();
        while let Some(node) = next {
            let Some(rest) = after_label(text, &node.label) else {
                return;
            };
            text = rest;
            if let Some(value) = &node.value {
                visit(value);
            }
            next = text.first().and_then(|first| node.child(*first));
        }
    }

    /// Shows the values of all keys that `text` ends with, where keys are spelt backwards; the shortest first.
    pub(crate) fn suffixes<'t>(&'t self, mut text: &[u8], visit: &mut impl FnMut(&'t V)) {
        let mut next = self.root.as_deref();
        while let Some(node) = next {
            let Some(begin) = text.len().checked_sub(node.label.len()) else {
                return;
            };
            let (rest, end) = text.split_at(begin);
            if !end.iter().rev().eq(&node.label[..]) {
                return;
            }
            text = rest;
            if let Some(value) = &node.value {
                visit(value);
            }
            next = text.last().and_then(|last| node.child(*last));
        }
    }

    /// Shows every value, in no particular order.
    pub(crate) fn for_each<'t>(&'t self, visit: &mut impl FnMut(&'t V)) {
        let mut pending: Vec<&'t Node<V>> = self.root.as_deref().into_iter().collect();
        while let Some(node) = pending.pop() {
            node.value.iter().for_each(&mut *visit);
            pending.extend(node.children.iter().map(|child| &**child));
        }
    }
}

impl<V: Clone + Ranked> Trie<V> {
    /// Lets `change` put in, alter or take out the value of `key`.
    pub(crate) fn update(&mut self, key: &[u8], change: &mut dyn FnMut(&mut Option<V>)) {
        let root = self.root.take();
        self.root = update(root, key, change);
    }
}

impl<V> Node<V> {
    #[inline]
    fn child(&self, first: u8) -> Option<&Node<V>> {
        let index = self.table.get(usize::from(first.wrapping_sub(self.base)))?;
        self.children.get(usize::from(*index)).map(|child| &**child)
    }

    fn refresh_table(&mut self) {
        self.table.clear();
        let range = self.firsts.iter().min().zip(self.firsts.iter().max());
        if let Some((least, greatest)) = range {
            self.base = *least;
            self.table.resize(usize::from(greatest - least) + 1, 0);
            for (index, first) in self.firsts.iter().enumerate() {
                if let Some(slot) = self.table.get_mut(usize::from(first - self.base)) {
                    *slot = index as u8;
                }
            }
        }
    }

    fn add(&mut self, child: Arc<Node<V>>) {
        if let Some(first) = child.label.first() {
            self.firsts.push(*first);
            self.children.push(child);
            self.refresh_table();
        }
    }
}

/// What follows `label` in `text`. Labels are mostly a few bytes, for which a call of `memcmp` would be dear.
#[inline]
fn after_label<'t>(text: &'t [u8], label: &[u8]) -> Option<&'t [u8]> {
    let (begin, rest) = text.split_at_checked(label.len())?;
    let is_same = match label.len() {
        0..=8 => begin.iter().zip(label).all(|(a, b)| a == b),
        _ => begin == label,
    };
    is_same.then_some(rest)
}

impl<V: Ranked> Node<V> {
    fn leaf(label: &[u8], value: V) -> Arc<Self> {
        let top = value.top();
        Arc::new(Node {
            label: SmallVec::from_slice(label),
            value: Some(value),
            top,
            firsts: SmallVec::new(),
            children: Vec::new(),
            table: SmallVec::new(),
            base: 0,
        })
    }

    fn refresh_top(&mut self) {
        let own = self.value.as_ref().map_or(0, Ranked::top);
        self.top = self.children.iter().map(|child| child.top).fold(own, u64::max);
    }
}

fn update<V: Clone + Ranked>(
    node: Option<Arc<Node<V>>>,
    key: &[u8],
    change: &mut dyn FnMut(&mut Option<V>),
) -> Option<Arc<Node<V>>> {
    let Some(mut shared) = node else {
        let mut value = None;
        change(&mut value);
        return value.map(|value| Node::leaf(key, value));
    };
    let common = shared
        .label
        .iter()
        .zip(key)
        .take_while(|(own, other)| own == other)
        .count();
    let (begin, rest) = key.split_at(common);
    if common < shared.label.len() {
        let mut value = None;
        change(&mut value);
        let Some(value) = value else { return Some(shared) };
        let mut lower = Arc::unwrap_or_clone(shared);
        lower.label.drain(..common);
        let mut upper = Node {
            label: SmallVec::from_slice(begin),
            value: None,
            top: 0,
            firsts: SmallVec::new(),
            children: Vec::with_capacity(2),
            table: SmallVec::new(),
            base: 0,
        };
        upper.add(Arc::new(lower));
        if rest.is_empty() {
            upper.value = Some(value);
        } else {
            upper.add(Node::leaf(rest, value));
        }
        upper.refresh_top();
        return Some(Arc::new(upper));
    }

    let node = Arc::make_mut(&mut shared);
    match rest.first() {
        None => change(&mut node.value),
        Some(first) => {
            // Taken out while it changes, so that it is not shared on that account.
            let child = node.firsts.iter().position(|own| own == first).map(|index| {
                node.firsts.swap_remove(index);
                node.children.swap_remove(index)
            });
            match update(child, rest, change) {
                Some(child) => node.add(child),
                None => node.refresh_table(),
            }
        }
    }
    if node.value.is_none() {
        if node.children.is_empty() {
            return None;
        }
        if node.children.len() == 1
            && let Some(only) = node.children.pop()
        {
            let mut merged = Arc::unwrap_or_clone(only);
            merged.label.insert_from_slice(0, &node.label);
            return Some(Arc::new(merged));
        }
    }
    node.refresh_top();
    Some(shared)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    impl Ranked for u64 {
        fn top(&self) -> u64 {
            *self
        }
    }

    fn random_key(random: &mut fastrand::Rng) -> Vec<u8> {
        (0..random.usize(..7)).map(|_| b"abc/"[random.usize(..4)]).collect()
    }

    #[test]
    fn behaves_as_a_sorted_map_and_leaves_copies_alone() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..200 {
            let mut trie: Trie<u64> = Trie::default();
            let mut model = BTreeMap::new();
            let mut copies = Vec::new();
            for step in 0..120 {
                let key = random_key(&mut random);
                if random.u8(..3) == 0 {
                    trie.update(&key, &mut |value| *value = None);
                    model.remove(&key);
                } else {
                    trie.update(&key, &mut |value| *value = Some(step));
                    model.insert(key, step);
                }
                if step % 40 == 0 {
                    copies.push((trie.clone(), model.clone()));
                }
            }
            copies.push((trie, model));
            for (trie, model) in &copies {
                assert_eq!(trie.top(), model.values().copied().max().unwrap_or(0));
                assert_eq!(trie.is_empty(), model.is_empty());
                let mut all = Vec::new();
                trie.for_each(&mut |value| all.push(*value));
                assert_eq!(all.len(), model.len());
                for _ in 0..50 {
                    let text = random_key(&mut random);
                    assert_eq!(trie.get(&text), model.get(&text));
                    let mut found = Vec::new();
                    trie.prefixes(&text, &mut |value| found.push(*value));
                    let expected: Vec<u64> = (0..=text.len())
                        .filter_map(|end| model.get(&text[..end]).copied())
                        .collect();
                    assert_eq!(found, expected);
                    let backwards: Vec<u8> = text.iter().rev().copied().collect();
                    found.clear();
                    trie.suffixes(&backwards, &mut |value| found.push(*value));
                    assert_eq!(found, expected);
                }
            }
        }
    }
}
