// Checks a ledger's files with the transparency-log code of Go's checksum database
// (golang.org/x/mod/sumdb), which shares nothing with ours. It ends with 0 when they hold.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const usage = `tlog-check ledger DIR VKEY [OLD-CHECKPOINT]...   everything that is served
tlog-check proof FILE ENTRY VKEY                  a .tlog-proof of one entry
tlog-check write ENTRIES DIR SIZE...              an independent writer: tiles of each size`

// height is log2 of the hashes in a tile.
const height = 8

// entriesTile is the level by which sumdb names tiles of data.
const entriesTile = -1

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "tlog-check:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) >= 3 && args[0] == "ledger":
		return checkLedger(args[1], args[2], args[3:])
	case len(args) == 4 && args[0] == "proof":
		return checkProof(args[1], args[2], args[3])
	case len(args) >= 3 && args[0] == "write":
		return write(args[1], args[2], args[3:])
	}
	return errors.New("usage:\n" + usage)
}

// openCheckpoint verifies a checkpoint's signature and reads what it says. Lines of unknown keys, such as
// those of witnesses, are ignored, as the specification asks.
func openCheckpoint(message []byte, vkey string) (tlog.Tree, error) {
	var tree tlog.Tree
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tree, err
	}
	opened, err := note.Open(message, note.VerifierList(verifier))
	if err != nil {
		return tree, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] != verifier.Name() {
		return tree, fmt.Errorf("not a checkpoint of %s", verifier.Name())
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, err
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

// folder serves tiles from a folder, as a web server would.
type folder string

func (f folder) Height() int { return height }

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var read [][]byte
	for _, tile := range tiles {
		data, err := os.ReadFile(filepath.Join(string(f), path(tile)))
		if err != nil {
			return nil, err
		}
		read = append(read, data)
	}
	return read, nil
}

// path is the tile's path in C2SP tlog-tiles, where the height is fixed and not named.
func path(tile tlog.Tile) string {
	path := strings.TrimPrefix(tile.Path(), "tile/8/")
	return "tile/" + strings.Replace(path, "data/", "entries/", 1)
}

func checkLedger(dir, vkey string, older []string) error {
	message, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return err
	}
	tree, err := openCheckpoint(message, vkey)
	if err != nil {
		return err
	}
	// Every tile this reads is checked against the signed root before it is used.
	hashes := tlog.TileHashReader(tree, folder(dir))
	root, err := tlog.TreeHash(tree.N, hashes)
	if err != nil {
		return err
	}
	if tree.N == 0 {
		root = sha256.Sum256(nil)
	}
	if root != tree.Hash {
		return errors.New("the tiles lead to another root")
	}
	if err := checkEntries(dir, tree, hashes); err != nil {
		return err
	}
	for _, file := range older {
		if err := checkOlder(file, vkey, tree, hashes); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

// checkEntries hashes every entry of every bundle, and proves some of them one by one.
func checkEntries(dir string, tree tlog.Tree, hashes tlog.HashReader) error {
	for first := int64(0); first < tree.N; first += 1 << height {
		width := tree.N - first
		if width > 1<<height {
			width = 1 << height
		}
		tile := tlog.Tile{H: height, L: entriesTile, N: first >> height, W: int(width)}
		bundle, err := os.ReadFile(filepath.Join(dir, path(tile)))
		if err != nil {
			return err
		}
		entries, err := split(bundle)
		if err != nil || int64(len(entries)) != width {
			return fmt.Errorf("%s is not a bundle of %d entries", path(tile), width)
		}
		var indexes []int64
		for n := range entries {
			indexes = append(indexes, tlog.StoredHashIndex(0, first+int64(n)))
		}
		leaves, err := hashes.ReadHashes(indexes)
		if err != nil {
			return err
		}
		for n, entry := range entries {
			index := first + int64(n)
			if tlog.RecordHash(entry) != leaves[n] {
				return fmt.Errorf("entry %d is not the one in the tree", index)
			}
			if n != 0 && n != len(entries)/3 && n != len(entries)-1 {
				continue
			}
			proof, err := tlog.ProveRecord(tree.N, index, hashes)
			if err != nil {
				return err
			}
			if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, leaves[n]); err != nil {
				return fmt.Errorf("entry %d: %w", index, err)
			}
		}
	}
	return nil
}

func checkOlder(file, vkey string, tree tlog.Tree, hashes tlog.HashReader) error {
	message, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	older, err := openCheckpoint(message, vkey)
	if err != nil {
		return err
	}
	proof, err := tlog.ProveTree(tree.N, older.N, hashes)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, older.N, older.Hash)
}

func checkProof(file, entryFile, vkey string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	entry, err := os.ReadFile(entryFile)
	if err != nil {
		return err
	}
	at := bytes.Index(text, []byte("\n\n"))
	if at < 0 {
		return errors.New("not a tlog-proof")
	}
	lines := strings.Split(string(text[:at]), "\n")
	if len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "index ") {
		return errors.New("not a tlog-proof")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	tree, err := openCheckpoint(text[at+2:], vkey)
	if err != nil {
		return err
	}
	if index < 0 || index >= tree.N {
		return errors.New("no such entry under the checkpoint")
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry))
}

// write computes tiles and bundles of each size from the entries alone, into DIR/SIZE.
func write(entriesFile, dir string, sizes []string) error {
	all, err := os.ReadFile(entriesFile)
	if err != nil {
		return err
	}
	entries, err := split(all)
	if err != nil {
		return err
	}
	var stored []tlog.Hash
	memory := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var found []tlog.Hash
		for _, index := range indexes {
			found = append(found, stored[index])
		}
		return found, nil
	})
	for n, entry := range entries {
		more, err := tlog.StoredHashes(int64(n), entry, memory)
		if err != nil {
			return err
		}
		stored = append(stored, more...)
	}
	for _, word := range sizes {
		size, err := strconv.ParseInt(word, 10, 64)
		if err != nil || size > int64(len(entries)) {
			return fmt.Errorf("no size %s", word)
		}
		if err := writeSize(filepath.Join(dir, word), entries[:size], memory); err != nil {
			return err
		}
	}
	return nil
}

func writeSize(dir string, entries [][]byte, hashes tlog.HashReader) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	size := int64(len(entries))
	for _, tile := range tlog.NewTiles(height, 0, size) {
		// It lists partial tiles of every width; a checkpoint needs the widest alone.
		if tile.W < 1<<height && int64(tile.W) != size>>(height*tile.L)%(1<<height) {
			continue
		}
		data, err := tlog.ReadTileData(tile, hashes)
		if err != nil {
			return err
		}
		if err := put(filepath.Join(dir, path(tile)), data); err != nil {
			return err
		}
		if tile.L != 0 {
			continue
		}
		var bundle []byte
		first := tile.N << height
		for _, entry := range entries[first : first+int64(tile.W)] {
			bundle = append(binary.BigEndian.AppendUint16(bundle, uint16(len(entry))), entry...)
		}
		tile.L = entriesTile
		if err := put(filepath.Join(dir, path(tile)), bundle); err != nil {
			return err
		}
	}
	return nil
}

func put(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

// split reads a bundle: entries with their lengths in 16 bits before them.
func split(bundle []byte) ([][]byte, error) {
	var entries [][]byte
	for len(bundle) > 0 {
		if len(bundle) < 2 {
			return nil, errors.New("bundle is cut short")
		}
		end := 2 + int(binary.BigEndian.Uint16(bundle))
		if len(bundle) < end {
			return nil, errors.New("bundle is cut short")
		}
		entries = append(entries, bundle[2:end])
		bundle = bundle[end:]
	}
	return entries, nil
}
