//! The sentences around the commands.

pub(super) const HEAD: &str = "\
Evidence of exchange {id}
Preuve de l'échange {id}

How to verify it without any program of Entente: with openssl (3.0 or later), cat, cmp, printf and tail.
Unpack the container (it is a ZIP file), open a shell in the folder it was unpacked to, and run each line
that begins with a dollar sign, in order. Below it, after an equals sign, is what it must print. Where
nothing is below, it must print nothing. Numbers in \"at\" lines are a place and a length in a file.

Comment la vérifier sans aucun programme d'Entente : avec openssl (3.0 ou plus récent), cat, cmp,
printf et tail. Extraire le contenant (un fichier ZIP), ouvrir un interpréteur de commandes dans le dossier
obtenu, et exécuter dans l'ordre chaque ligne qui commence par un dollar. Au-dessous, après un signe
d'égalité, figure ce qu'elle doit afficher. Sans rien au-dessous, elle ne doit rien afficher. Les nombres
des lignes « at » sont une position et une longueur dans un fichier.

";

pub(super) const SHOWN: &str = "
What this shows, as far as a command above is about it: who signed which statements; that they stand in the
ledgers, under checkpoints that the ledgers signed, and that witnesses cosigned; which keys the registry
bound to whom; that disclosed values are those committed to; and that the entries were there by the time of
a time stamp.

Ce que cela montre, dans la mesure où une commande ci-dessus y touche : qui a signé quelles déclarations;
qu’elles figurent aux journaux, sous des points de contrôle que les journaux ont signés et des témoins
cosignés; quelles clés le registre a liées à qui; que les valeurs communiquées sont celles qui étaient
engagées; et que les entrées existaient à l’heure d’un horodatage.
";

/// Before what this bundle does not show.
pub(super) const NOT_SHOWN: [&str; 2] = [
    "\nNOT SHOWN in this bundle:\n",
    "\nPAS MONTRÉ dans cette preuve :\n",
];

/// What no bundle shows.
pub(super) const NEVER_SHOWN: [&str; 2] = [
    "- whose registry it is: whose key registry/ledger-key.pem is must be known from elsewhere
- that nothing happened outside the security servers; anything against two parties that lie together; that
  a stated purpose was the true one
",
    "- à qui est ce registre : à qui est la clé registry/ledger-key.pem doit être su par ailleurs
- que rien n’a eu lieu hors des serveurs de sécurité; rien contre deux parties qui mentent ensemble; que la
  fin déclarée était la vraie
",
];
