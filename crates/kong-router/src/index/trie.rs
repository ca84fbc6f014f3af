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
            key = key.strip_prefix(&node.label[..])?;
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
            let Some(rest) = text.strip_prefix(&node.label[..]) else {
                return;
            };
            text = rest;
            if let Some(value) = &node.value {
                visit(value);
            }
            next = text.first().and_then(|first| node.child(*first));
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
        let index = if self.firsts.len() <= 8 {
            self.firsts.iter().position(|own| *own == first)?
        } else {
            memchr::memchr(first, &self.firsts)?
        };
        self.children.get(index).map(|child| &**child)
    }

    fn add(&mut self, child: Arc<Node<V>>) {
        if let Some(first) = child.label.first() {
            self.firsts.push(*first);
            self.children.push(child);
        }
    }
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
            let child = node.firsts.iter().position(|own| own == first).map(|index| {
                node.firsts.swap_remove(index);
                node.children.swap_remove(index)
            });
            if let Some(child) = update(child, rest, change) {
                node.add(child);
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
                }
            }
        }
    }
}
